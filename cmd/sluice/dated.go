package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"
)

// datedNames are the names that a name with time patterns stands for.
type datedNames struct {
	pattern  string
	literals []string // before, between and after the layouts
	layouts  []string // of package time
	end      func(time.Time) time.Time
}

// newDatedNames returns the names of a pattern whose times can be read back, and put in order.
func newDatedNames(pattern string) (*datedNames, error) {
	n := &datedNames{pattern: pattern}
	rest := pattern
	for {
		before, after, found := strings.Cut(rest, timePattern)
		n.literals = append(n.literals, before)
		if !found {
			break
		}
		var layout string
		layout, rest, _ = strings.Cut(after, "}") // which expandTime has found
		if strings.Contains(layout, "%") {
			var err error
			if layout, err = strftime.Layout(layout); err != nil {
				return nil, fmt.Errorf("the time in %q cannot be read back: %w", pattern, err)
			}
		}
		n.layouts = append(n.layouts, layout)
	}
	if len(n.layouts) == 0 {
		return nil, fmt.Errorf("%q has no date: write one, such as {time:%%Y-%%m-%%d}, or {time:2006-01-02}", pattern)
	}
	if n.end = n.period(); n.end == nil {
		return nil, fmt.Errorf("the time in %q does not tell which of two files is older: it needs the year, the month and the day, down to what differs", pattern)
	}
	return n, nil
}

// periods are what names may tell times to, each with its first moment and that of the next one.
var periods = []struct{ first, next func(time.Time) time.Time }{
	{
		func(t time.Time) time.Time { return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, t.Location()) },
		func(t time.Time) time.Time { return t.AddDate(1, 0, 0) },
	},
	{
		func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, t.Location()) },
		func(t time.Time) time.Time { return t.AddDate(0, 1, 0) },
	},
	{
		func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location()) },
		func(t time.Time) time.Time { return t.AddDate(0, 0, 1) },
	},
	shortPeriod(time.Hour), shortPeriod(time.Minute), shortPeriod(time.Second), shortPeriod(time.Millisecond),
	shortPeriod(time.Microsecond), shortPeriod(time.Nanosecond),
}

func shortPeriod(d time.Duration) struct{ first, next func(time.Time) time.Time } {
	return struct{ first, next func(time.Time) time.Time }{
		func(t time.Time) time.Time { return t.Truncate(d) },
		func(t time.Time) time.Time { return t.Add(d) },
	}
}

// period returns what has the end of the time that a name tells, nil if names tell none. They do
// if reading the name of a time returns the beginning of its year, month, day and so on, over
// more than a year: where numbers without zeros in front follow each other, 111 may be 1 and 11,
// or 11 and 1.
func (n *datedNames) period() func(time.Time) time.Time {
	samples := []time.Time{oneTime, anotherTime}
	for i := range 366 {
		const apart = 25*time.Hour + 7*time.Minute + 13_123_456_789
		samples = append(samples, time.Date(1999, 12, 20, 0, 0, 0, 1, time.UTC).Add(time.Duration(i)*apart))
	}
	for _, p := range periods {
		untold := func(sample time.Time) bool {
			name, err := expandTime(n.pattern, sample)
			made, ok := n.read(name)
			return err != nil || !ok || !wallClock(made).Equal(p.first(wallClock(sample)))
		}
		if !slices.ContainsFunc(samples, untold) {
			return p.next
		}
	}
	return nil
}

// wallClock returns the time at which clocks of UTC show what those of t's zone show at t.
func wallClock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// read returns the beginning of the time that a name tells, and whether the pattern could have
// made the name. Names that tell no time zone are read as if clocks were never put forward or
// back, so that those of a place and of its summer are compared by what they show.
func (n *datedNames) read(name string) (made time.Time, ok bool) {
	const between = "\x00" // so that no two layouts make up another one
	ok = n.split(name, nil, func(times []string) bool {
		t, err := time.Parse(strings.Join(n.layouts, between), strings.Join(times, between))
		if err != nil {
			return false
		}
		made = t
		again, err := expandTime(n.pattern, t)
		return err == nil && again == name
	})
	return made, ok
}

// split cuts the times out of a name in each way that its literals allow, until found returns
// true.
func (n *datedNames) split(rest string, times []string, found func([]string) bool) bool {
	i := len(times)
	rest, ok := strings.CutPrefix(rest, n.literals[i])
	if !ok || i == len(n.layouts) {
		return ok && rest == "" && found(times)
	}
	longest := 2*len(n.layouts[i]) + 16 // that a layout makes: names of months, days and zones vary
	for length := 1; length <= min(longest, len(rest)); length++ {
		if _, err := time.Parse(n.layouts[i], rest[:length]); err != nil {
			continue
		}
		if n.split(rest[length:], append(times, rest[:length]), found) {
			return true
		}
	}
	return false
}

// namePattern returns the pattern of the names below base, which is DEST without a name.
func namePattern(given, base string) (string, error) {
	pattern, ok := strings.CutPrefix(given, base)
	if !ok {
		return "", errors.New("the date must be in the name of the file, not in its bucket or, with file://, its folder")
	}
	return pattern, nil
}
