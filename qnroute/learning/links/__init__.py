"""What is learned about links: how good they will be, and what decisions to draw from that."""
