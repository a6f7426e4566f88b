"""What int8 lost, where it was lost, and how to get it back."""
