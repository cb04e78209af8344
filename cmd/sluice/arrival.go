package main

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice/internal/size"
)

// arrival is how far a download is. It is an io.Writer that counts, and others look at it
// meanwhile.
type arrival struct {
	size  int64 // of the file, in bytes
	began time.Time
	count atomic.Int64
}

func (a *arrival) Write(p []byte) (int, error) {
	a.count.Add(int64(len(p)))
	return len(p), nil
}

// arrived is a moment of a download.
type arrived struct {
	after time.Duration
	bytes int64
}

// arrivals are the last moments, the latest one at the end.
type arrivals []arrived

// line adds now and describes it.
func (r *arrivals) line(a *arrival) (text string, figures []slog.Attr) {
	now := arrived{time.Since(a.began), a.count.Load()}
	var past arrived // the start counts as one
	if len(*r) > 0 {
		past = (*r)[0]
	}
	*r = append(*r, now)
	if len(*r) > recentSamples {
		*r = (*r)[1:]
	}
	text = fmt.Sprintf("%s of %s received, %s now, %s mean", size.Decimal(now.bytes), size.Decimal(a.size),
		perSecond(now.bytes-past.bytes, now.after-past.after), perSecond(now.bytes, now.after))
	var left time.Duration
	if now.bytes > 0 {
		left = time.Duration(size.Nearest(float64(now.after) / float64(now.bytes) * float64(a.size-now.bytes)))
		text += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	return text, []slog.Attr{
		slog.Int64("received_bytes", now.bytes), slog.Int64("size", a.size),
		slog.Float64("seconds", now.after.Seconds()), slog.Float64("seconds_left", left.Seconds()),
	}
}
