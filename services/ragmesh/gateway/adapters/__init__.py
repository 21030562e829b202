"""Doors of the gateway besides gRPC, one package a technology."""
