package exchange

import (
	"context"
	"net/http"
	"time"
)

// Throttle returns a transport that reserves every byte of a part before the byte is sent, of retries too; what else is
// sent is small, and is not counted. reserve takes n bytes, at most most, and returns how long they have to wait.
// It is called concurrently by all connections. While bytes wait they count as moving: an attempt that is held back has
// not stalled.
func Throttle(rt http.RoundTripper, most int, reserve func(n int) time.Duration) http.RoundTripper {
	return &throttle{rt, most, reserve}
}

type throttle struct {
	http.RoundTripper
	most    int
	reserve func(int) time.Duration
}

func (t *throttle) RoundTrip(req *http.Request) (*http.Response, error) {
	if part, ok := req.Body.(*partBody); ok {
		ctx, cancel := context.WithCancel(req.Context())
		req = req.WithContext(req.Context()) // a copy
		req.Body = &throttledBody{partBody: part, throttle: t, ctx: ctx, cancel: cancel}
	}
	return t.RoundTripper.RoundTrip(req)
}

// throttledBody is a part that goes out in the slices that were reserved. It is no io.WriterTo, which would write a page at
// once.
type throttledBody struct {
	partBody *partBody
	throttle *throttle
	ctx      context.Context // ends with the request, or with Close
	cancel   context.CancelFunc
	reserved int // bytes that may go out now
}

// signOfLife is how often a body that waits says that it is alive: well within any limit of a stall.
const signOfLife = time.Second

// Read waits before it touches the part, so that closing the part does not wait for it.
func (b *throttledBody) Read(q []byte) (int, error) {
	if left := b.partBody.left; b.reserved == 0 && left > 0 {
		n := int(min(int64(len(q)), int64(b.throttle.most), left))
		if err := b.wait(b.throttle.reserve(n)); err != nil {
			return 0, err
		}
		b.reserved = n
	}
	n, err := b.partBody.Read(q[:min(len(q), b.reserved)]) // none at the end, where the transport looks whether more comes
	b.reserved -= n
	return n, err
}

func (b *throttledBody) wait(left time.Duration) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ; left > 0; left -= signOfLife {
		timer.Reset(min(left, signOfLife))
		select {
		case <-timer.C:
			b.partBody.attempt.Moved()
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
	return b.ctx.Err()
}

// Close ends a wait.
func (b *throttledBody) Close() error {
	b.cancel()
	return b.partBody.Close()
}
