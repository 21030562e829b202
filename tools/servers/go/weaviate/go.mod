module ragmesh.dev/tools/weaviate

go 1.25

require github.com/weaviate/weaviate v1.35.2

tool github.com/weaviate/weaviate/cmd/weaviate-server
