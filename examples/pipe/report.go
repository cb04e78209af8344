package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/size"
)

// report is the JSON object of -json. The keys are part of what scripts rely on: none is ever renamed.
// Sizes are in bytes, times in seconds. After a failure there is no file: id, size, parts are empty and there are
// no digests, and error says why.
type report struct {
	Destination string `json:"destination"`
	Exit        int    `json:"exit"`
	Error       string `json:"error,omitempty"`
	// LargeFile is the id of the large file that is or may be left unfinished.
	LargeFile string `json:"large_file,omitempty"`

	ID     string `json:"id"`
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Parts  int    `json:"parts"` // 0: stored in one call
	SHA256 string `json:"sha256,omitempty"`
	SHA1   string `json:"sha1,omitempty"`

	SourceBytes int64   `json:"source_bytes"` // read, before compression
	StoredBytes int64   `json:"stored_bytes"` // acknowledged by the store
	ReusedBytes int64   `json:"reused_bytes"` // of those, stored by an earlier run
	ResentBytes int64   `json:"resent_bytes"`
	Retries     int     `json:"retries"`
	Hedges      int     `json:"hedges"`
	Seconds     float64 `json:"seconds"`
	WaitSource  float64 `json:"wait_source_seconds"`
	WaitMemory  float64 `json:"wait_memory_seconds"`
	WaitNetwork float64 `json:"wait_network_seconds"`
	MemoryLimit int64   `json:"memory_limit"`
	Reach       int64   `json:"reach"`
}

// report tells how it ended and returns the exit code.
func (j *job) report(r result) int {
	switch {
	case r.code == exitUsage:
		return misused(j.console, describe(r))
	case r.err != nil:
		j.console.printf("pipe: %s", describe(r))
		if next := j.next(r); next != "" && !j.config.quiet {
			j.console.printf("pipe: %s", next)
		}
	case !j.config.quiet:
		j.console.printf("pipe: %s", j.summary(r.file))
	}
	if j.config.json {
		if err := json.NewEncoder(j.sys.stdout).Encode(j.object(r)); err != nil {
			j.console.printf("pipe: the report could not be written: %v", err)
		}
	}
	return r.code
}

func (j *job) object(r result) report {
	o := report{
		Destination: j.config.dest,
		Exit:        r.code,
		LargeFile:   r.large,
		SourceBytes: j.source.count.Load(),
	}
	if w := j.stream.Load(); w != nil {
		s := w.Stats()
		o.Name = w.name
		o.StoredBytes, o.ReusedBytes, o.ResentBytes = s.Acknowledged, s.Reused, s.Resent
		o.Retries, o.Hedges = s.Retries, s.Hedges
		o.Seconds = s.Elapsed.Seconds()
		o.WaitSource, o.WaitMemory, o.WaitNetwork = s.WaitSource.Seconds(), s.WaitMemory.Seconds(), s.WaitNetwork.Seconds()
		o.MemoryLimit, o.Reach = w.Settings().MemoryLimit, s.Reach
	}
	if r.err != nil {
		o.Error = describe(r)
		return o
	}
	o.ID, o.Size, o.Parts = r.file.ID, r.file.Size, r.file.Parts
	o.SHA256 = hex.EncodeToString(r.file.Digests.Get("sha256"))
	o.SHA1 = hex.EncodeToString(r.file.Digests.Get("sha1"))
	return o
}

// summary is the last line of an upload that is done.
func (j *job) summary(f sluice.File) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is stored, %s", j.config.dest, size.Decimal(f.Size))
	if j.config.level > 0 {
		fmt.Fprintf(&b, " from %s", size.Decimal(j.source.count.Load()))
	}
	if f.Parts > 0 {
		fmt.Fprintf(&b, " in %d parts", f.Parts)
	}
	s := j.stream.Load().Stats()
	fmt.Fprintf(&b, ", %.1f s, %s", s.Elapsed.Seconds(), perSecond(f.Size, s.Elapsed))
	if s.Reused > 0 {
		fmt.Fprintf(&b, ", %s reused", size.Decimal(s.Reused))
	}
	b.WriteString(repeated(s))
	fmt.Fprintf(&b, ", id %s", f.ID)
	for _, d := range f.Digests {
		fmt.Fprintf(&b, ", %s %x", d.Name, d.Sum)
	}
	return b.String()
}

// describe says what failed, in the words of the command line.
func describe(r result) string {
	text := strings.TrimPrefix(r.err.Error(), "sluice: ")
	var left leftError
	if errors.As(r.err, &left) {
		if r.large == "" {
			return text + "; no large file was started"
		}
		return text + "; large file " + r.large + " may be left unfinished"
	}
	return flagNames.Replace(text)
}

// next says what can be done about what a failure left, "" if nothing is.
func (j *job) next(r result) string {
	s, _, err := findScheme(j.sys.schemes, j.config.dest)
	if r.large == "" || err != nil || !slices.Contains(s.commands, commandCancel) {
		return ""
	}
	dest := shellQuote(j.config.dest)
	switch {
	case r.code == exitUnknown:
		return fmt.Sprintf("to see what became of it: pipe get %s | wc -c; pipe unfinished %s", dest, dest)
	case slices.Contains(s.flags, flagResumeID):
		return fmt.Sprintf("to go on with it, given the same stream and flags: pipe -resume-id %s %s; to remove it: pipe cancel %s %s", r.large, dest, dest, r.large)
	}
	return ""
}

// shellQuote is the word as a shell takes it.
func shellQuote(word string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-+=:,./@", c)
	}
	if !strings.ContainsFunc(word, func(c rune) bool { return !plain(c) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// flagNames are what the options of the package are called here.
var flagNames = strings.NewReplacer(
	"Options.PartSize", "-part-size",
	"Options.Concurrency", "-concurrency",
	"Options.Size", "-size",
	"MemoryLimit", "-memory",
	": memory limit ", ": -memory ",
	"BufferDir", "-buffer-dir",
)
