"""Verified tokens in AWS Lambda: a decorator for handlers, and an authorizer for API Gateway and AppSync."""
