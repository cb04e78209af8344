// Package docs declares what the documents speak of without declaring it.
package docs

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/c1508ce4/sluice"
)

var (
	ctx        context.Context
	backend    sluice.Backend
	store      sluice.Source
	w          *sluice.LargeFileWriter
	source     io.Reader
	compressor io.WriteCloser
	fill, dump func(io.Writer) error
	inAYear    time.Time

	token, org, endpoint string
)

func run(sluice.Backend) error { return nil }

func connect(address ...string) any { return address }

// A store by another author.
type someStore struct{}

func (someStore) URL() string                             { return "" }
func (someStore) Open(name string) (io.ReadCloser, error) { return nil, nil }

var (
	mystore struct {
		New func(url string) sluice.Backend
	}
	mystoretest struct {
		NewServer func(*testing.T) someStore
	}
)
