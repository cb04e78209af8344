package hostile

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// remover is a store that can remove files.
type remover interface {
	Remove(ctx context.Context, f sluice.StoredFile) error
}

// RequireLastFailure has each call that reads or removes f meet a store that
// refuses everything by 503, until the context ends. The error says how that ended,
// why, and what the store had answered. It is called in a bubble of package
// testing/synctest.
func RequireLastFailure(t *testing.T, s sluice.Source, f sluice.StoredFile, listed bool) {
	t.Helper()
	calls := map[string]func(context.Context) error{
		"Stat":      func(ctx context.Context) error { _, err := s.Stat(ctx, f.Name); return err },
		"ReadRange": func(ctx context.Context) error { return s.ReadRange(ctx, f, sluice.NewRange(0, f.Size)) },
		"restore":   func(ctx context.Context) error { return restore(ctx, s, f) },
	}
	if listed {
		calls["List"] = func(ctx context.Context) error {
			for _, err := range s.List(ctx, "") {
				return err
			}
			return nil
		}
	}
	if r, ok := s.(remover); ok {
		calls["Remove"] = func(ctx context.Context) error { return r.Remove(ctx, f) }
	}
	signal := errors.New("signal: terminated")
	for name, call := range calls {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, signal)
		err := call(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.ErrorIs(t, err, signal, name)
		require.ErrorContains(t, err, "(last failure: ", name)
		require.ErrorContains(t, err, "503", name)
	}
}

func restore(ctx context.Context, s sluice.Source, f sluice.StoredFile) error {
	_, err := sluice.Download(ctx, s, f.Name, io.Discard, &sluice.ReadOptions{Version: &f})
	return err
}
