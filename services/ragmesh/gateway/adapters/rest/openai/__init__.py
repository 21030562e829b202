"""The OpenAI-compatible paths: the use cases of REST in the words of OpenAI's clients."""
