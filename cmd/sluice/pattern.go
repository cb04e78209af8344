package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"
)

// timePattern begins a pattern that becomes the time of the start.
const timePattern = "{time:"

// expandTime replaces {time:LAYOUT} by the local time in that layout.
func expandTime(s string, now time.Time) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, timePattern)
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		layout, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("%s%s lacks its }", timePattern, rest)
		}
		text, err := formatTime(layout, now)
		if err != nil {
			return "", fmt.Errorf("%s%s}: %w", timePattern, layout, err)
		}
		out.WriteString(text)
		s = after
	}
}

// Two times that differ in every element of a layout.
var (
	oneTime     = time.Date(2001, 2, 3, 4, 5, 6, 700_000_000, time.FixedZone("ONE", 3600))
	anotherTime = time.Date(2012, 11, 9, 20, 51, 42, 300_000_000, time.FixedZone("TWO", -7200))
)

// otherLayout matches the elements of layouts of Java and its kin.
var otherLayout = regexp.MustCompile(`YY|yy|MM|DD|dd|HH|hh|SS`)

// formatTime formats a time in a layout of package time, or in one of date and strftime, which
// has a %. It rejects a layout that has no element, or one of another program's: the file of each
// day would replace the file of the day before.
func formatTime(layout string, now time.Time) (string, error) {
	const forms = "year, month and day are 2006-01-02 or %Y-%m-%d, the time is 15-04-05 or %H-%M-%S"
	format := func(t time.Time) string { return t.Format(layout) }
	if strings.Contains(layout, "%") {
		format = func(t time.Time) string { return strftime.Format(layout, t) }
		if known := strings.ReplaceAll(layout, "%%", ""); strings.Contains(strftime.Format(known, now), "%") {
			return "", errors.New("an element that begins with % is unknown; " + forms)
		}
	} else if element := otherLayout.FindString(layout); element != "" {
		return "", fmt.Errorf("%s is no element of a layout; %s", element, forms)
	}
	if format(oneTime) == format(anotherTime) {
		return "", errors.New("the layout has no element; " + forms)
	}
	return format(now), nil
}

// unknownPattern matches what looks like a pattern.
var unknownPattern = regexp.MustCompile(`\{[^{}]*\}`)

// checkPatterns rejects a pattern that expandTime does not know. Only uploads need that:
// names with braces that another program made can still be read.
func checkPatterns(dest string) error {
	for _, pattern := range unknownPattern.FindAllString(dest, -1) {
		if !strings.HasPrefix(pattern, timePattern) {
			return fmt.Errorf("DEST %q: pattern %s is unknown; there is {time:LAYOUT}, such as {time:%%Y-%%m-%%d}", dest, pattern)
		}
	}
	return nil
}
