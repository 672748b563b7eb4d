"""safetensors files taken apart and put together, to be changed in between."""

import json


def parts(content):
    """The header and the data after it."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def whole(header, data):
    """A file of a header, or of bytes in its place, and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data
