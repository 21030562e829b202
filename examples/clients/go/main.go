// Adds a document and asks about it over gRPC, with code generated from the contracts.
//
//	go run . [HOST:PORT]      (a mesh must run; RAGMESH_API_KEY holds the key, if it asks for one)
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	gateway "ragmesh.dev/examples/go/generated/ragmesh/api/gateway/v1"
	types "ragmesh.dev/examples/go/generated/ragmesh/api/types/v1"
)

const (
	collection = "lighthouses-go"
	question   = "How high is the lighthouse of Grömsiel?"
	text       = `# The lighthouse of Grömsiel

The lighthouse of Grömsiel is 31 metres high. It was built in 1889 and runs without a keeper
since 1978. Its light is seen from 17 nautical miles away.
`
	patience = 30 * time.Second
)

func main() {
	address := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := run(address); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address string) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if key := os.Getenv("RAGMESH_API_KEY"); key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
	}
	if err := makeCollection(ctx, gateway.NewCollectionServiceClient(connection)); err != nil {
		return err
	}
	if err := addDocument(ctx, gateway.NewDocumentServiceClient(connection)); err != nil {
		return err
	}
	asking := gateway.NewAskServiceClient(connection)
	if err := ask(ctx, asking, question); err != nil {
		return err
	}
	// A refusal says what is wrong with which field.
	fmt.Println(describe(ask(ctx, asking, " ")))
	return nil
}

// makeCollection makes the collection unless an earlier run has made it.
func makeCollection(ctx context.Context, collections gateway.CollectionServiceClient) error {
	_, err := collections.CreateCollection(ctx, &gateway.CreateCollectionRequest{Name: collection, Language: "en"})
	if reasonOf(err) == "COLLECTION_EXISTS" {
		return nil
	}
	return err
}

// addDocument sends a text and follows its job to the end.
func addDocument(ctx context.Context, documents gateway.DocumentServiceClient) error {
	created, err := documents.CreateDocument(ctx, &gateway.CreateDocumentRequest{
		Collection: collection,
		Document: &gateway.NewDocument{
			Header:  &gateway.DocumentHeader{DocumentId: "groemsiel.md", ContentType: "text/markdown"},
			Content: &gateway.NewDocument_Text{Text: text},
		},
	})
	if err != nil {
		return err
	}
	jobs, err := documents.WatchJob(ctx, &gateway.WatchJobRequest{JobId: created.GetAccepted().GetJobId()})
	if err != nil {
		return err
	}
	state := types.JobState_JOB_STATE_UNSPECIFIED
	for {
		event, err := jobs.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		state = event.GetJob().GetState()
	}
	if state != types.JobState_JOB_STATE_SUCCEEDED {
		return fmt.Errorf("the document was not indexed: %s", state)
	}
	fmt.Printf("%s revision %d can be found.\n", created.GetAccepted().GetDocumentId(), created.GetAccepted().GetRevision())
	return nil
}

// ask prints the answer as it is written, then what it rests on.
func ask(ctx context.Context, asking gateway.AskServiceClient, question string) error {
	answer, err := asking.StreamAnswer(ctx, &gateway.StreamAnswerRequest{
		Ask: &gateway.AskRequest{Collection: collection, Question: question},
	})
	if err != nil {
		return err
	}
	var citations []*gateway.Citation
	for {
		event, err := answer.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch said := event.GetEvent().(type) {
		case *gateway.StreamAnswerResponse_Delta:
			fmt.Print(said.Delta.GetText())
		case *gateway.StreamAnswerResponse_Citation:
			citations = append(citations, said.Citation)
		case *gateway.StreamAnswerResponse_Finish:
			fmt.Printf("\n%s, confidence %.2f\n", said.Finish.GetStatus(), said.Finish.GetConfidence())
		}
	}
	for _, citation := range citations {
		fmt.Printf("%s %s: %s\n", citation.GetMarker(), citation.GetDocumentId(), citation.GetQuote())
	}
	return nil
}

// reasonOf is the stable reason of a refusal, or gRPC's own code when nobody answered.
func reasonOf(err error) string {
	told := status.Convert(err)
	for _, detail := range told.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return told.Code().String()
}

// describe says which fields a refusal is about, and when to try again.
func describe(err error) string {
	said := fmt.Sprintf("%s %s", status.Code(err), reasonOf(err))
	for _, detail := range status.Convert(err).Details() {
		switch told := detail.(type) {
		case *errdetails.BadRequest:
			for _, violation := range told.GetFieldViolations() {
				said += fmt.Sprintf("; %s %s", violation.GetField(), violation.GetDescription())
			}
		case *errdetails.RetryInfo:
			said += fmt.Sprintf("; again in %s", told.GetRetryDelay().AsDuration())
		}
	}
	return said
}
