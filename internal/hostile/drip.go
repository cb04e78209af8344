package hostile

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// How long an answer may take: that to a call during which the store assembles or
// copies a file, and that to any other.
const (
	longestSlow = 50 * time.Minute
	longest     = 5 * time.Minute
)

// dripping is a body that brings a byte every three seconds for as long as it is
// read. No connection stalls so.
type dripping struct {
	req    *http.Request
	began  time.Time
	closed bool
	took   time.Duration // until it was given up
}

func (d *dripping) Read(q []byte) (int, error) {
	if len(q) == 0 {
		return 0, nil
	}
	select {
	case <-time.After(3 * time.Second):
		q[0] = ' '
		return 1, nil
	case <-d.req.Context().Done():
		return 0, d.req.Context().Err()
	}
}

func (d *dripping) Close() error {
	d.closed, d.took = true, time.Since(d.began)
	return nil
}

// drips are answers that do not end in any useful time.
func drips() []Answer {
	var list []Answer
	for _, status := range []int{200, 400, 503} {
		list = append(list, Answer{Name: fmt.Sprintf("dripping %d", status), give: func(req *http.Request, _ string, _ *http.Response) (*http.Response, error) {
			resp := reply(req, status, "")
			resp.Body, resp.ContentLength = &dripping{req: req, began: time.Now()}, -1
			return resp, nil
		}})
	}
	return list
}

// requireGivenUp sees that every dripping answer was given up in time, of which
// Slow calls have more.
func (s *Subject) requireGivenUp(t *testing.T, service *service) {
	t.Helper()
	most := longest
	if s.Slow != nil && s.Slow(service.call) {
		most = longestSlow
	}
	for _, d := range service.drips {
		require.True(t, d.closed)
		require.LessOrEqual(t, d.took, most)
	}
}

// TestRateCap has every call of a stream under a rate cap meet answers that drip.
// Such a cap makes sending long, and no answer.
func (s *Subject) TestRateCap(t *testing.T, stream func(t *testing.T, rt http.RoundTripper, o *sluice.Options) error) {
	met := 0
	for _, call := range s.Calls {
		for _, a := range drips() {
			t.Run(call+"/"+a.Name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					service := &service{subject: s, call: call, answer: a}
					err := stream(t, service, &sluice.Options{MaxRate: 10})
					if met += service.met; service.met > 0 {
						require.True(t, err != nil || s.Deaf != nil && s.Deaf(call, a), "nothing failed")
					}
					s.requireGivenUp(t, service)
				})
			})
		}
	}
	require.GreaterOrEqual(t, met, 2*len(drips()), "the stream makes no calls")
}
