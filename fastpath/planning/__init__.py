"""How a plan comes to be: which blobs stay codes, where feature maps lie, and which step runs each layer."""
