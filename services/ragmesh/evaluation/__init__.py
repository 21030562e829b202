"""How well a mesh answers: golden questions, metrics, and whether one run is worse than another."""
