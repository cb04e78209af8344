package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/printable"
	"github.com/c1508ce4/sluice/internal/size"
)

// inspected is a line of unfinished --parts in JSON.
type inspected struct {
	leftover
	Size  int64        `json:"size"` // of all parts together, in bytes
	Parts []storedPart `json:"parts"`
}

// storedPart is a part in JSON.
type storedPart struct {
	Number int   `json:"number"`
	Size   int64 `json:"size"` // bytes
	// "sha1:" and hex, or "etag:" and what the store calls it by
	Digest string    `json:"digest,omitempty"`
	Stored time.Time `json:"stored,omitzero"`
}

// listParts writes an unfinished large file with its parts.
func (s *selection) listParts(f sluice.UnfinishedFile, parts []sluice.StoredPart) error {
	o := inspected{leftover: newLeftover(f), Parts: []storedPart{}}
	for _, p := range parts {
		o.Size = size.Add(o.Size, p.Size)
		o.Parts = append(o.Parts, storedPart{p.Number, p.Size, digestOf(p.Receipt), printable.Time(p.Stored)})
	}
	if s.json {
		return writeJSON(s.sys.stdout, o)
	}
	var text strings.Builder
	fmt.Fprintln(&text, o.leftover)
	for _, p := range o.Parts {
		fmt.Fprintf(&text, "%7d  %13d  %-20s  %s\n", p.Number, p.Size, moment(p.Stored), p.Digest)
	}
	fmt.Fprintf(&text, "%7d parts, %d bytes (%s)\n", len(o.Parts), o.Size, size.Decimal(o.Size))
	_, err := io.WriteString(s.sys.stdout, text.String())
	return err
}

func digestOf(r sluice.Receipt) string {
	switch {
	case len(r.Digests) > 0:
		return r.Digests[0].Name + ":" + hex.EncodeToString(r.Digests[0].Sum)
	case r.ETag != "":
		return "etag:" + printable.Text(strings.Trim(r.ETag, `"`))
	}
	return ""
}
