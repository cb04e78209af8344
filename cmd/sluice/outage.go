package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// outage notes failures of the store, and with --patient reports what the program waits for. It
// learns of failures from what the stores log of their retries, and is told of what went well. It
// may be used concurrently.
type outage struct {
	console *console // nil: nothing is said

	patient bool // outages are reported

	mu    sync.Mutex
	last  string    // failure since the last success
	since time.Time // of the first failure after the last success; zero if there is none
	said  time.Time // when it was last told of; zero if it was not
}

func newOutage(con *console, quiet, patient bool) *outage {
	if quiet {
		con = nil
	}
	return &outage{console: con, patient: patient}
}

// logger returns what a store is given to report its calls to. All of it is shown if verbose,
// else warnings, unless quiet. Failures are noted in either case.
func logger(con *console, o *outage) *slog.Logger {
	handlers := []slog.Handler{outageHandler{o}}
	switch {
	case con.verbose:
		handlers = append(handlers, con.handler(slog.LevelDebug))
	case o.console != nil:
		handlers = append(handlers, con.handler(slog.LevelWarn))
	}
	return slog.New(slog.NewMultiHandler(handlers...))
}

const (
	// outageAge is how long a failure is worth no word: retries are usual.
	outageAge = 30 * time.Second
	// outageEvery is how often a long one is told of.
	outageEvery = 5 * time.Minute
)

// failed is told of a failure that is followed by another attempt.
func (o *outage) failed(err string, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.last = err
	if o.since.IsZero() {
		o.since = now
	}
	age := now.Sub(o.since)
	if o.console == nil || !o.patient || age+wait < outageAge || !o.said.IsZero() && now.Sub(o.said) < outageEvery {
		return
	}
	o.said = now
	o.console.warnf("sluice: waiting for the store, which has failed for %v: %s; trying again in %v, and for up to %v in all (--patient)",
		age.Round(time.Second), err, wait.Round(time.Second), patience)
}

// over is told that something went well.
func (o *outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.said.IsZero() {
		o.console.printf("sluice: the store answers again, after %v", time.Since(o.since).Round(time.Second))
	}
	o.since, o.said, o.last = time.Time{}, time.Time{}, ""
}

// failure returns the last failure, "" if something went well since.
func (o *outage) failure() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// Write is told of bytes that came.
func (o *outage) Write(p []byte) (int, error) {
	o.over()
	return len(p), nil
}

// outageHandler hears of retries: records with a wait, after an error.
type outageHandler struct{ *outage }

func (outageHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h outageHandler) Handle(_ context.Context, r slog.Record) error {
	var wait time.Duration
	var err string
	retried := false
	r.Attrs(func(a slog.Attr) bool {
		switch v := a.Value.Resolve(); {
		case a.Key == "wait" && v.Kind() == slog.KindDuration:
			wait, retried = v.Duration(), true
		case a.Key == "after" || a.Key == "error":
			err = v.String()
		}
		return true
	})
	if retried {
		h.failed(err, wait)
	}
	return nil
}

func (h outageHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h outageHandler) WithGroup(string) slog.Handler      { return h }
