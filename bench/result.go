package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// result is everything that a run measured, in the order in which it is shown.
type result struct {
	Go, System string
	Cores      int
	Command    []string
	Time       time.Time
	Rounds     int
	Rows       []outcome
	Limits     []measured // the raw ones
}

// measured is a job with what it took in every round.
type measured struct {
	Job     job
	Samples []sample
}

// outcome is a row with its ratios, round by round.
type outcome struct {
	Name string
	measured
	// OfLimit is the share of the rate that the raw limits together allow; 0 where none was measured.
	OfLimit lab.Series
	// CPUOver is the CPU time over that of the raw limits together.
	CPUOver lab.Series
}

func newResult(rows []row, jobs []job, rounds int, samples map[job][]sample) result {
	r := result{
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(),
		Command: os.Args[1:], Time: time.Now().UTC().Truncate(time.Second), Rounds: rounds,
	}
	for _, row := range rows {
		taken := samples[row.stream]
		wall, cpu := lab.Of(taken, sample.wallPerByte), lab.Of(taken, sample.cpuPerByte)
		r.Rows = append(r.Rows, outcome{
			Name:     row.name,
			measured: measured{row.stream, taken},
			OfLimit:  sum(row.wall, samples, sample.wallPerByte).Over(wall),
			CPUOver:  cpu.Over(sum(row.cpu, samples, sample.cpuPerByte)),
		})
	}
	for _, j := range jobs {
		if j.Work != workStream {
			r.Limits = append(r.Limits, measured{j, samples[j]})
		}
	}
	return r
}

// sum adds a figure of several jobs, round by round.
func sum(jobs []job, samples map[job][]sample, figure func(sample) float64) lab.Series {
	total := lab.Of(samples[jobs[0]], figure)
	for _, j := range jobs[1:] {
		total = total.Plus(lab.Of(samples[j], figure))
	}
	return total
}

func (r result) writeJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// writeTable shows medians, and the range of the rate and of the ratios.
func (r result) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %s, %d cores, rounds: %d; medians (least-most)\n\n", r.Go, r.System, r.Cores, r.Rounds)
	fmt.Fprintln(t, "raw limit\tGiB/s\tCPU s/GiB")
	for _, l := range r.Limits {
		fmt.Fprintf(t, "%v\t%s\t%.2f\n", l.Job, spread(l.of(gibPerSecond), 2), l.of(cpuPerGiB).Median())
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "stream\tGiB/s\tof limit\tCPU s/GiB\tover limit\tRSS MiB\tallocs/part\ttail\tparts\trequests")
	for _, o := range r.Rows {
		one := o.Samples[len(o.Samples)-1]
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f\t%s\t%.0f\t%.1f\t%s\t%d\t%d\n", o.Name,
			spread(o.of(gibPerSecond), 2), spread(o.OfLimit, 2), o.of(cpuPerGiB).Median(), spread(o.CPUOver, 2),
			o.of(rssMiB).Max(), o.of(allocs).Median(), milliseconds(o.of(tail).Median()), one.Parts, one.Requests)
	}
	return t.Flush()
}

func (m measured) of(figure func(sample) float64) lab.Series { return lab.Of(m.Samples, figure) }

func gibPerSecond(s sample) float64 { return s.rate() / (1 << 30) }
func cpuPerGiB(s sample) float64    { return s.cpuPerByte() * (1 << 30) }
func rssMiB(s sample) float64       { return float64(s.RSS) / (1 << 20) }
func allocs(s sample) float64       { return s.Allocs }
func tail(s sample) float64         { return s.Tail }

func spread(s lab.Series, digits int) string {
	if len(s) == 0 {
		return "-"
	}
	if len(s) == 1 {
		return fmt.Sprintf("%.*f", digits, s[0])
	}
	return fmt.Sprintf("%.*f (%.*f-%.*f)", digits, s.Median(), digits, s.Min(), digits, s.Max())
}
