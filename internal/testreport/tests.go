package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of go test -json ("go doc test2json").
type event struct {
	Action  string
	Package string
	Test    string // "" for what concerns the package
	Elapsed float64
	Output  string
}

// tests is what came of a run. Subtests are part of the tests that ran them.
type tests struct {
	passed  []event
	skipped []string // with their reasons
	parts   int      // subtests skipped: mostly rules that do not apply to a store
}

// read prints packages and failures as they come.
func read(in io.Reader, out io.Writer) (tests, error) {
	var t tests
	output := map[[2]string]string{} // by package and test, until it ends
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	// seconds of subtests: of parallel ones their parent knows nothing
	within := map[[2]string]float64{}
	events := 0
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // a compiler speaks no JSON
			continue
		}
		events++
		of := [2]string{e.Package, e.Test}
		switch e.Action {
		case "build-output":
			fmt.Fprint(out, e.Output)
			continue
		case "output":
			output[of] += e.Output
			continue
		case "fail":
			// a test that was under way when its program died has no end of its
			// own
			if e.Test == "" {
				for unfinished, said := range output {
					if unfinished[0] == e.Package && unfinished[1] != "" {
						fmt.Fprint(out, said)
						delete(output, unfinished)
					}
				}
			}
			fmt.Fprint(out, output[of])
		case "pass":
			e.Elapsed = max(e.Elapsed, within[of])
			if i := strings.LastIndexByte(e.Test, '/'); i >= 0 {
				within[[2]string{e.Package, e.Test[:i]}] += e.Elapsed
			} else if e.Test != "" {
				t.passed = append(t.passed, e)
			}
			if e.Test == "" {
				fmt.Fprintf(out, "ok   %s %.1fs\n", e.Package, e.Elapsed)
			}
		case "skip":
			if strings.Contains(e.Test, "/") {
				t.parts++
			} else if e.Test != "" {
				t.skipped = append(t.skipped, e.Package+" "+e.Test+reason(output[of]))
			}
		default:
			continue
		}
		delete(output, of)
	}
	if events == 0 && lines.Err() == nil {
		return t, errors.New("no test has reported")
	}
	return t, lines.Err()
}

// reason is what a test said when it skipped: the last line that is not the go command's.
func reason(output string) string {
	var said string
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			said = ": " + line
		}
	}
	return said
}

func (t tests) print(out io.Writer) {
	fmt.Fprintf(out, "\nskipped: %d tests, and %d subtests of others\n", len(t.skipped), t.parts)
	for _, s := range t.skipped {
		fmt.Fprintln(out, "  "+s)
	}
	slices.SortFunc(t.passed, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	fmt.Fprintf(out, "\nslowest of %d tests:\n", len(t.passed))
	for _, e := range t.passed[:min(shown, len(t.passed))] {
		fmt.Fprintf(out, "%7.2fs %s %s\n", e.Elapsed, e.Package, e.Test)
	}
}
