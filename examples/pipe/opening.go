package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/exchange"
)

// opening is how a destination is to be opened.
type opening struct {
	flags     *storeFlags
	log       *slog.Logger      // nil: silent
	rate      int64             // parts are sent at so many bytes a second at most; 0: no limit
	transport http.RoundTripper // nil: of the store's own
}

// patience is how long a call may go on failing with -patient: an outage of half an hour, with as much to spare.
const patience = time.Hour

// slowest is how long an attempt may last that -rate slows down. What ends a dead one is that no byte moves.
const slowest = 365 * 24 * time.Hour

// retry is how failures are met.
func (o opening) retry() sluice.Retry {
	var r sluice.Retry
	if o.flags.patient {
		r.Budget = patience
	}
	if o.rate > 0 {
		r.Timeout = slowest
	}
	return r
}

// carrier is what requests go through, nil if the store's own will do.
func (o opening) carrier() http.RoundTripper {
	if o.rate == 0 {
		return o.transport
	}
	carrier := o.transport
	if carrier == nil {
		carrier = exchange.NewTransport()
	}
	l := newLimiter(o.rate)
	return exchange.Throttle(carrier, l.most(), l.reserve)
}
