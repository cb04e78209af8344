package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// kinds of work, by the functions on a sample's stack. The first that matches has the sample; what none matches is the
// program's own: scheduling, collecting, and everything that a stream costs beyond what it is for.
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

// profileRows runs each row's stream under a CPU profile, in every round, and tells what share of the time is which kind
// of work, and which functions have most of the rest.
func profileRows(ctx context.Context, rows []row, folder string, rounds int, talk *progress) (section, error) {
	var servers lab.Servers
	defer servers.Stop()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return section{}, err
	}
	files := make([][]string, len(rows))
	for round := range rounds {
		for i, r := range rows {
			talk.now("profile %d of %d: %v", round+1, rounds, r.stream)
			name := strings.NewReplacer("/", "-", " ", "").Replace(r.name)
			file := filepath.Join(folder, fmt.Sprintf("%s-%d.pprof", name, round+1))
			if _, err := runJob(ctx, &servers, order{Job: r.stream, Profile: file}); err != nil {
				return section{}, fmt.Errorf("%s: %w", r.name, err)
			}
			files[i] = append(files[i], file)
		}
	}
	t := lab.Table{Head: []string{"stream", "CPU seconds"}}
	for _, k := range kinds {
		t.Head = append(t.Head, k.name)
	}
	t.Head = append(t.Head, "everything else", "most of which")
	for i, r := range rows {
		s, err := readShares(ctx, files[i])
		if err != nil {
			return section{}, fmt.Errorf("%s: %w", r.name, err)
		}
		t.Add(append([]string{r.name}, s.cells()...)...)
	}
	return section{name: "profile", tables: []lab.Table{t}}, nil
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

// trace is the first line of a stack: how long, and the function that took the time. Its callers follow.
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
	rest := s.total
	for _, k := range kinds {
		cells = append(cells, percent(s.of[k.name]))
		rest -= s.of[k.name]
	}
	most := make([]string, 0, len(s.rest))
	for name := range s.rest {
		most = append(most, name)
	}
	slices.SortFunc(most, func(a, b string) int { return cmp.Or(cmp.Compare(s.rest[b], s.rest[a]), cmp.Compare(a, b)) })
	for i, name := range most[:min(3, len(most))] {
		most[i] = fmt.Sprintf("%s %s", name, percent(s.rest[name]))
	}
	return append(cells, percent(rest), strings.Join(most[:min(3, len(most))], ", "))
}
