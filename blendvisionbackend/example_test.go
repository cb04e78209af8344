package blendvisionbackend_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

// The example runs against bvtest, a local server of this project. For the real
// service the endpoint and the credentials come from its console.
func Example() {
	server := bvtest.NewServer(nil)
	defer server.Close()

	backend, err := blendvisionbackend.New(
		blendvisionbackend.NewCredentials(server.Token(), server.OrgID()),
		&blendvisionbackend.Options{Endpoint: server.URL()})
	if err != nil {
		log.Fatal(err)
	}
	library := backend.With(blendvisionbackend.FileOptions{
		Type: "FILE_TYPE_AUDIO", Source: "FILE_SOURCE_ADD_AOD", Attributes: map[string]string{"season": "3"},
	})

	episode := strings.NewReader("the whole episode")
	file, err := sluice.Upload(context.Background(), library, "episode.mp3", &sluice.Options{Size: episode.Size()},
		func(w io.Writer) error {
			_, err := io.Copy(w, episode)
			return err
		})
	if err != nil {
		log.Fatal(err)
	}
	content, _ := server.Content(file.ID)
	fmt.Printf("%s: %d bytes in %d part: %s\n", file.Name, file.Size, file.Parts, content)
	// Output: episode.mp3: 17 bytes in 1 part: the whole episode
}
