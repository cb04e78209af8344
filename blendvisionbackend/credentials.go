package blendvisionbackend

import (
	"context"
	"fmt"
	"sync"

	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// keys are the credentials that requests carry. They are shared by all handles of
// a Backend.
type keys struct {
	renew func(context.Context) (Credentials, error) // see Options; may be nil

	mu      sync.Mutex
	current *Credentials
	refused bool // by the service
}

// get returns the credentials for the next request, renewed if they were refused.
// If that fails it returns the last ones, and why.
func (k *keys) get(ctx context.Context) (current *Credentials, renewal error) {
	k.mu.Lock()
	current, refused := k.current, k.refused
	k.mu.Unlock()
	if !refused || k.renew == nil {
		return current, nil
	}
	renewed, err := k.renew(ctx)
	if err == nil {
		err = renewed.check()
	}
	if err != nil {
		err = fmt.Errorf("reading the credentials again: %w", httpx.Clean(err, current.secrets()...))
		return current, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current, k.refused = &renewed, false
	return k.current, nil
}

// refuse has the credentials renewed, unless they were replaced already.
func (k *keys) refuse(c *Credentials) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == c {
		k.refused = true
	}
}

func (k *keys) secrets() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current.secrets()
}

func (k *keys) classify(err error) retry.Verdict {
	v := classify(err)
	if k.renew != nil && unauthenticated(err) {
		v.Action = retry.AtOnce
	}
	return v
}
