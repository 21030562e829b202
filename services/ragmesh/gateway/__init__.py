"""The gateway: the only public door; it runs one question from end to end."""
