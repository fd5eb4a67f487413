"""What requests use: tokens, pictures and money; counted by key, model and day, and limited by budgets of keys."""
