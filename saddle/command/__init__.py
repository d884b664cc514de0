"""What the command ``replica`` understands, computes and writes."""
