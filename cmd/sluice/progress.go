package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/size"
)

// announce says, before a byte is read, what is there from an earlier run, and how far the
// memory given reaches.
func (j *job) announce(s sluice.Settings) {
	if j.config.quiet {
		return
	}
	if j.config.store.resumes() && !j.restarted.Load() {
		j.console.printf("sluice: %s", j.resumed())
	}
	reach := "takes up to " + size.Decimal(s.MaxStreamSize)
	if j.options().Size > 0 {
		reach = "takes the declared " + size.Decimal(s.MaxStreamSize)
	}
	room := size.Format(s.MemoryLimit) + " of memory"
	if dir := j.config.bufferDir; dir != "" {
		room = size.Format(s.MemoryLimit) + " of buffer in " + dir
	}
	parts := "parts of " + size.Format(s.PartSize)
	if s.MaxPart > s.PartSize && j.options().Size == 0 {
		parts = fmt.Sprintf("parts from %s to %s", size.Format(s.PartSize), size.Format(s.MaxPart))
	}
	j.console.printf("sluice: %s %s with %s, in %s, up to %d at once", j.config.dest, reach, room, parts, s.Concurrency)
}

// resumed says what an earlier run has left.
func (j *job) resumed() string {
	large := j.large.Load()
	if large == nil {
		return j.config.dest + " has no unfinished large file: starting anew"
	}
	var stored int64
	unknown := 0
	for _, part := range large.Stored {
		stored = size.Add(stored, part.Size)
		if len(part.Digests) == 0 {
			unknown++
		}
	}
	text := fmt.Sprintf("resuming large file %s: %d parts, %s are stored; ", large.ID, len(large.Stored), size.Decimal(stored))
	switch unknown {
	case 0:
		return text + "each is reused if the stream has the same bytes there"
	case len(large.Stored):
		return text + "the store does not tell their digests, so all are sent again"
	default:
		return text + fmt.Sprintf("the store does not tell the digests of %d, which are sent again, and the others are reused if the stream has the same bytes there", unknown)
	}
}

// progress is the line that says how the upload is doing, "" while there is none.
func (j *job) progress() (line string, figures []slog.Attr) {
	w := j.stream.Load()
	if w == nil {
		return "", nil
	}
	s, total := w.Stats(), j.source.total
	left := s.TimeLeft(total)
	if j.config.transforms() && s.Accepted > 0 && total > 0 {
		// The total is of the bytes before compression and encryption: what was read becomes as
		// many bytes as so far.
		left = s.TimeLeft(size.Nearest(float64(total) * float64(s.Accepted) / float64(max(1, j.source.count.Load()))))
	}
	now := sample{s, j.source.count.Load()}
	return j.recent.line(now, left), []slog.Attr{
		slog.Int64("source_bytes", now.source), slog.Int64("stored_bytes", s.Acknowledged), slog.Int64("sent_bytes", s.Sent),
		slog.Int("parts_in_flight", s.PartsInFlight), slog.Int("retries", s.Retries), slog.Int("restarts", s.Restarts),
		slog.Float64("seconds", s.Elapsed.Seconds()), slog.Float64("seconds_left", left.Seconds()),
	}
}

// moved returns how many bytes were read or sent.
func (j *job) moved() int64 {
	n := j.source.count.Load()
	if w := j.stream.Load(); w != nil {
		n = size.Add(n, w.Stats().Sent)
	}
	return n
}

// waitingFor returns what the upload waits for: the source too if nothing is being sent.
func (j *job) waitingFor() string {
	if w := j.stream.Load(); w != nil && w.Stats().PartsInFlight == 0 && !j.finishing.Load() {
		return "the source"
	}
	return "the store"
}

// sample is a moment of an upload.
type sample struct {
	sluice.Stats
	source int64 // bytes read from the source
}

// recentSamples is over how many samples the present rate is taken.
const recentSamples = 10

// recent is the last samples, the latest one at the end.
type recent []sample

// line adds s and describes it. left is how much longer it takes, 0 if that is not known.
func (r *recent) line(s sample, left time.Duration) string {
	var past sample // the start counts as one
	if len(*r) > 0 {
		past = (*r)[0]
	}
	*r = append(*r, s)
	if len(*r) > recentSamples {
		*r = (*r)[1:]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s in, %s stored, %s now, %s mean", size.Decimal(s.source), size.Decimal(s.Acknowledged),
		perSecond(s.Sent-past.Sent, s.Elapsed-past.Elapsed), perSecond(s.Sent, s.Elapsed))
	fmt.Fprintf(&b, ", %d in flight", s.PartsInFlight)
	b.WriteString(repeated(s.Stats))
	b.WriteString(", waiting for " + waitingFor(s.Stats, past.Stats))
	if left > 0 {
		fmt.Fprintf(&b, ", %v left", left.Round(time.Second))
	}
	return b.String()
}

// repeated says how often bytes had to be sent again, "" if never.
func repeated(s sluice.Stats) string {
	var b strings.Builder
	for _, c := range []struct {
		n         int
		one, many string
	}{{s.Retries, "retry", "retries"}, {s.Restarts, "restart", "restarts"}} {
		switch {
		case c.n == 1:
			b.WriteString(", 1 " + c.one)
		case c.n > 1:
			fmt.Fprintf(&b, ", %d %s", c.n, c.many)
		}
	}
	return b.String()
}

// waitingFor is what most of the time between two snapshots went to.
func waitingFor(now, past sluice.Stats) string {
	what, most := "the source", now.WaitSource-past.WaitSource
	if d := now.WaitNetwork - past.WaitNetwork; d > most {
		what, most = "the network", d
	}
	if d := now.WaitMemory - past.WaitMemory; d > most {
		what = "memory"
	}
	return what
}

func perSecond(n int64, d time.Duration) string {
	if d <= 0 {
		return "0 bytes/s"
	}
	return size.Decimal(size.Nearest(float64(n)/d.Seconds())) + "/s"
}
