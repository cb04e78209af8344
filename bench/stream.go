package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/memorybackend"
)

// leastLimit is what the runtime's limit counts as pages where they are
// simulated, so that the collector is not made to run all the time.
const leastLimit = 16 << 20

// pieceSize is that of the pieces of fromWrites.
const pieceSize = 32 << 10

// order is a job with the server that it needs.
type order struct {
	Job     job
	Server  lab.Address
	Profile string `json:",omitempty"` // file for the stream's CPU profile, "" for none
}

// playStream is the role of a client: it carries what a job says, in a process
// that does nothing else.
func playStream(ctx context.Context, spec json.RawMessage) (any, error) {
	var o order
	if err := json.Unmarshal(spec, &o); err != nil {
		return nil, err
	}
	limit := max(o.Job.Memory, leastLimit) + lab.Beside
	if o.Job.To == toMemory {
		limit += o.Job.Size // the store is in this process as well
	}
	debug.SetMemoryLimit(limit)
	var requests counter
	b, err := connect(ctx, o, &requests)
	if err != nil {
		return nil, err
	}
	if o.Profile == "" {
		return carry(ctx, o.Job, b, &requests)
	}
	f, err := os.Create(o.Profile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	defer pprof.StopCPUProfile()
	return carry(ctx, o.Job, b, &requests)
}

// connect makes the backend of a job, and logs in where that is needed.
func connect(ctx context.Context, o order, requests *counter) (sluice.Backend, error) {
	switch o.Job.To {
	case toDrop:
		return drop{}, nil
	case toMemory:
		return memorybackend.New(nil), nil
	case toDiscard:
		return memorybackend.New(&memorybackend.Options{Discard: true}), nil
	case toB2:
		t := httpx.NewTransport()
		t.TLSClientConfig = o.Server.TLSConfig()
		requests.next = t
		return b2backend.New(ctx, b2backend.NewCredentials(o.Server.KeyID, o.Server.Key), o.Server.Bucket,
			&b2backend.Options{Endpoint: o.Server.URL, Transport: requests})
	default:
		return nil, fmt.Errorf("no backend %q", o.Job.To)
	}
}

// counter counts requests.
type counter struct {
	next http.RoundTripper
	n    atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.RoundTrip(r)
}
