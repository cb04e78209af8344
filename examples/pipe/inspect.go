package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/size"
)

// inspected is a line of unfinished -parts in JSON.
type inspected struct {
	leftover
	Size  int64        `json:"size"` // of all parts together, in bytes
	Parts []storedPart `json:"parts"`
}

// storedPart is a part in JSON.
type storedPart struct {
	Number int       `json:"number"`
	Size   int64     `json:"size"`             // bytes
	Digest string    `json:"digest,omitempty"` // "sha1:" and hex, or "etag:" and what the store calls it by
	Stored time.Time `json:"stored,omitzero"`
}

// inspect lists the parts of an unfinished large file. One that was finished or cancelled meanwhile is passed over.
func (r *request) inspect(ctx context.Context, d *destination, f sluice.UnfinishedFile) error {
	parts, err := d.parts(ctx, f)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	o := inspected{leftover: newLeftover(f), Parts: []storedPart{}}
	for _, p := range parts {
		o.Size += p.Size
		o.Parts = append(o.Parts, storedPart{p.Number, p.Size, digestOf(p.Receipt), p.Stored})
	}
	if r.json {
		return json.NewEncoder(r.stdout).Encode(o)
	}
	var text strings.Builder
	fmt.Fprintln(&text, o.leftover)
	for _, p := range o.Parts {
		stored := "-"
		if !p.Stored.IsZero() {
			stored = p.Stored.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&text, "%7d  %13d  %-20s  %s\n", p.Number, p.Size, stored, p.Digest)
	}
	fmt.Fprintf(&text, "%7d parts, %d bytes (%s)\n", len(o.Parts), o.Size, size.Decimal(o.Size))
	_, err = fmt.Fprint(r.stdout, text.String())
	return err
}

func digestOf(r sluice.Receipt) string {
	switch {
	case len(r.Digests) > 0:
		return r.Digests[0].Name + ":" + hex.EncodeToString(r.Digests[0].Sum)
	case r.Tag != "":
		return "etag:" + printable(strings.Trim(r.Tag, `"`))
	}
	return ""
}
