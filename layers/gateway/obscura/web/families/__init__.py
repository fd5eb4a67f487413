"""Families: the endpoints that one Lambda function serves together, a router each."""
