"""Plans of networks without int8 layers: feature maps that stay in one array, and calls bound to their places."""
