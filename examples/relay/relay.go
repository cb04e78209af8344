package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/c1508ce4/sluice"
)

// pattern is the requests that a relay is for.
const pattern = "PUT /{name...}"

// relay stores the body of a request under the name in its path.
type relay struct {
	store    sluice.Backend
	pool     *sluice.Pool  // for all requests: when it is used up, clients wait
	patience time.Duration // for the next bytes of a client
	log      *log.Logger
}

// server serves h, and gives up clients that fall silent.
func (h *relay) server() *http.Server {
	mux := http.NewServeMux()
	mux.Handle(pattern, h)
	return &http.Server{Handler: mux, ReadHeaderTimeout: h.patience, IdleTimeout: h.patience, ErrorLog: h.log}
}

func (h *relay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	options := &sluice.Options{
		Pool:        h.pool,
		ContentType: r.Header.Get("Content-Type"),
		Size:        max(0, r.ContentLength), // -1 is a length that the client does not know
	}
	body := &patientBody{body: r.Body, control: http.NewResponseController(w), patience: h.patience}
	// The request's context ends when the client hangs up, and the upload with it.
	file, err := sluice.Upload(r.Context(), h.store, r.PathValue("name"), options, func(w io.Writer) error {
		_, err := io.Copy(w, body)
		return err
	})
	if err != nil {
		h.log.Print(err)
		text, status := explain(err, body.err)
		http.Error(w, text, status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(struct { // a client that is gone has its file all the same
		ID   string `json:"id"`
		Size int64  `json:"size"`
	}{file.ID, file.Size})
}

// explain is what the client is told. What the store said is for the log. A
// body that cannot be read ends the request's context too, and that may be what
// the upload failed with.
func explain(err, bodyErr error) (text string, status int) {
	var e *sluice.Error
	switch {
	case bodyErr != nil:
		return "nothing is stored: the body ended early", http.StatusBadRequest
	case errors.Is(err, sluice.ErrFinishUnknown):
		return "may be stored or not: look before sending it again", http.StatusGatewayTimeout
	case errors.Is(err, sluice.ErrTooLarge):
		return "nothing is stored: too large", http.StatusRequestEntityTooLarge
	case errors.As(err, &e) && e.Op == "open":
		return "nothing is stored: the store does not take such a file", http.StatusBadRequest
	}
	return "nothing is stored: the store failed", http.StatusBadGateway
}

// patientBody is a request body of which every read has its own deadline, so
// that a client that falls silent is given up, and a slow one is not.
type patientBody struct {
	body     io.Reader
	control  *http.ResponseController
	patience time.Duration
	err      error // what reading failed with
}

func (b *patientBody) Read(p []byte) (int, error) {
	if err := b.control.SetReadDeadline(time.Now().Add(b.patience)); err != nil {
		return 0, err
	}
	n, err := b.body.Read(p)
	if err == io.EOF {
		// The server goes on reading to see the client hang up, and would take
		// the deadline for that.
		if err := b.control.SetReadDeadline(time.Time{}); err != nil {
			return n, err
		}
		return n, io.EOF
	}
	b.err = err
	return n, err
}
