package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// profileRows runs each row's stream under a CPU profile, in every round, and
// tells what share of the time is which kind of work, and which functions have
// most of the rest.
func profileRows(ctx context.Context, rows []row, folder string, rounds int, talk *lab.Progress) (section, error) {
	var servers lab.Servers
	defer servers.Stop()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return section{}, err
	}
	files := make([][]string, len(rows))
	for round := range rounds {
		for i, r := range rows {
			talk.Now("profile %d of %d: %v", round+1, rounds, r.stream)
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
