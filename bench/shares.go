package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// kinds of work, by the functions on a sample's stack. The first that matches
// has the sample; what none matches is the program's own: scheduling,
// collecting, and everything that a stream costs beyond what it is for.
var kinds = []struct {
	name     string
	function *regexp.Regexp
}{
	{"hashing", regexp.MustCompile(`sha1|sha256`)},
	{"reading", regexp.MustCompile(`^os\.\(\*File\)\.Read`)}, // the pipe
	{"sending", regexp.MustCompile(`^(internal/poll\.\(\*FD\)|syscall\.|net\.\(\*)`)},
	{"encrypting", regexp.MustCompile(`^crypto/(tls|aes|cipher|internal/fips140/(aes|tls))`)},
	{"copying", regexp.MustCompile(`^runtime\.memmove`)},
}

// shares are seconds of processor time by kind of work.
type shares struct {
	total float64
	of    map[string]float64
	rest  map[string]float64 // by the function that took the time
}

// readShares has the profiles' stacks printed by go tool pprof, all profiles in one.
func readShares(ctx context.Context, files []string) (shares, error) {
	said, err := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-traces"}, files...)...).Output()
	if err != nil {
		return shares{}, fmt.Errorf("go tool pprof: %w", err)
	}
	return parseTraces(said)
}

// trace is the first line of a stack: how long, and the function that took the
// time. Its callers follow.
var trace = regexp.MustCompile(`^\s*([0-9.]+(?:ns|us|µs|ms|s|mins|hrs))\s+(\S.*)$`)

func parseTraces(text []byte) (shares, error) {
	s := shares{of: make(map[string]float64), rest: make(map[string]float64)}
	var took float64
	var stack []string
	end := func() {
		if len(stack) > 0 {
			s.add(took, stack)
		}
		stack = nil
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		switch m := trace.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "-----------+"):
			end()
		case m != nil:
			end()
			d, err := seconds(m[1])
			if err != nil {
				return s, err
			}
			took, stack = d, []string{function(m[2])}
		case len(stack) > 0 && strings.TrimSpace(line) != "":
			stack = append(stack, function(line))
		}
	}
	if end(); s.total == 0 {
		return s, fmt.Errorf("the profile has no samples: the stream is too short")
	}
	return s, nil
}

// seconds reads a time as pprof writes it.
func seconds(text string) (float64, error) {
	text = strings.NewReplacer("mins", "m", "hrs", "h").Replace(text)
	d, err := time.ParseDuration(text)
	return d.Seconds(), err
}

func function(text string) string {
	return strings.TrimSuffix(strings.TrimSpace(text), " (inline)")
}

func (s *shares) add(took float64, stack []string) {
	s.total += took
	for _, k := range kinds {
		if slices.ContainsFunc(stack, k.function.MatchString) {
			s.of[k.name] += took
			return
		}
	}
	s.rest[stack[0]] += took
}

// cells are the shares in the order of the table's columns.
func (s shares) cells() []string {
	cells := []string{fmt.Sprintf("%.1f", s.total)}
	percent := func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v/s.total) }
	for _, k := range kinds {
		cells = append(cells, percent(s.of[k.name]))
	}
	rest := 0.0
	most := make([]string, 0, len(s.rest))
	for name, took := range s.rest {
		rest += took
		most = append(most, name)
	}
	slices.SortFunc(most, func(a, b string) int { return cmp.Or(cmp.Compare(s.rest[b], s.rest[a]), cmp.Compare(a, b)) })
	for i, name := range most[:min(3, len(most))] {
		most[i] = fmt.Sprintf("%s %s", name, percent(s.rest[name]))
	}
	return append(cells, percent(rest), strings.Join(most[:min(3, len(most))], ", "))
}
