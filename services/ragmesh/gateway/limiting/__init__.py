"""What keeps one caller from being everybody's misfortune: rates, places and refusals."""
