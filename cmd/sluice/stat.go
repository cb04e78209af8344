package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/printable"
	"github.com/c1508ce4/sluice/internal/size"
)

// described is a file in JSON. An entry of ls has what its list tells.
type described struct {
	Destination string            `json:"destination"`
	Name        string            `json:"name"`
	ID          string            `json:"id,omitempty"`
	Size        int64             `json:"size"`
	Modified    time.Time         `json:"modified,omitzero"`
	ContentType string            `json:"content_type,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	ETag        string            `json:"etag,omitempty"`
	Digests     map[string]string `json:"digests,omitempty"` // in hex by algorithm
	Parts       []storedPart      `json:"parts,omitempty"`
}

// describeFile describes the file that dest names.
func describeFile(dest string, f sluice.StoredFile) described {
	o := described{
		Destination: dest, Name: f.Name, ID: f.ID, Size: f.Size, Modified: printable.Time(f.Modified),
		ContentType: f.ContentType, Metadata: f.Metadata, ETag: f.ETag,
	}
	if len(f.Digests) > 0 {
		o.Digests = make(map[string]string)
	}
	for _, d := range f.Digests {
		o.Digests[d.Name] = hex.EncodeToString(d.Sum)
	}
	for i, part := range f.Receipts {
		o.Parts = append(o.Parts, storedPart{Number: i + 1, Size: part.Size, Digest: digestOf(part)})
	}
	return o
}

// stat shows what a store knows of a file.
func (p *program) stat() *cobra.Command {
	s := p.newSession()
	cmd := &cobra.Command{
		Use:                   "stat [flags] DEST",
		Short:                 "show what the store knows of a file",
		Long:                  statText,
		Example:               "    sluice stat --json b2://backups/db.dump",
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     p.completeDest,
	}
	s.bind(cmd, p.now, slices.Concat(accessFlags, encryptionFlags)...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dest, err := p.oneDest(cmd, args)
		if err != nil {
			return err
		}
		return s.run(cmd, dest, unwatched{}, func(ctx context.Context, d *destination) error {
			f, err := s.find(ctx, d)
			if err != nil {
				return err
			}
			o := describeFile(s.dest, f)
			if s.json {
				return writeJSON(s.sys.stdout, o)
			}
			_, err = io.WriteString(s.sys.stdout, o.text())
			return err
		})
	}
	return cmd
}

// find returns what the store knows of DEST.
func (s *session) find(ctx context.Context, d *destination) (sluice.StoredFile, error) {
	if err := d.named(s.dest); err != nil {
		return sluice.StoredFile{}, err
	}
	return d.source.Stat(ctx, d.name)
}

// text describes a file for people.
func (o described) text() string {
	var b strings.Builder
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-13s %s\n", printable.Text(name), printable.Text(text))
		}
	}
	row("destination", o.Destination)
	row("size", fmt.Sprintf("%d (%s)", o.Size, size.Decimal(o.Size)))
	row("modified", moment(o.Modified))
	row("id", o.ID)
	row("etag", o.ETag)
	row("content type", o.ContentType)
	for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
		row("metadata", key+"="+o.Metadata[key])
	}
	for _, name := range slices.Sorted(maps.Keys(o.Digests)) {
		row(name, o.Digests[name])
	}
	for _, part := range o.Parts {
		row("part", fmt.Sprintf("%d  %d  %s", part.Number, part.Size, part.Digest))
	}
	return b.String()
}
