package main

import "github.com/spf13/cobra"

// verify reads a file as get does, and writes nothing.
func (p *program) verify() *cobra.Command {
	return p.downloadCommand(&download{session: p.newSession(), discard: true}, &cobra.Command{
		Use:     "verify [flags] DEST",
		Short:   "read a file and check it, without writing it anywhere",
		Long:    verifyText,
		Example: `    sluice verify --sha256 "$SUM" b2://backups/db.dump`,
	})
}
