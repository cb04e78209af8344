package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/c1508ce4/sluice"
)

// opening is how a destination is to be opened.
type opening struct {
	flags     *storeFlags
	log       *slog.Logger      // nil: silent
	transport http.RoundTripper // nil: of the store's own
}

// patience is how long a call may go on failing with --patient: an outage of half an hour, with
// as much to spare.
const patience = time.Hour

// retry is how failures are met.
func (o opening) retry() sluice.Retry {
	var r sluice.Retry
	if o.flags.patient {
		r.Budget = patience
	}
	return r
}
