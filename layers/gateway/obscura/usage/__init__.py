"""What requests use: tokens, images and money; counted by key, model and day, and limited by budgets of keys."""
