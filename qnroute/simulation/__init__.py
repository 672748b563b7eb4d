"""Networks in time: demand that arrives, links that change, and policies that decide slot by slot."""
