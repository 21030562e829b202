"""The client for asyncio; `make generate` makes `ragmesh.sdk.blocking` from it."""
