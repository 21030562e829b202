"""The operator of ragmesh: custom resources on one side, a mesh and its workers on the other."""
