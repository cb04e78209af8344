//go:build unix

package endtoend

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// README's way from the first backup to its restore and pruning, with files for the database.
func TestREADME_GoesFromBackupToPruning(t *testing.T) {
	need(t, "age-keygen", "age")
	block := regexp.MustCompile("(?s)age:\n\n```sh\n(.*?)```").FindStringSubmatch(readText(t, "../../../README.md"))
	require.NotNil(t, block)
	require.Equal(t, 10, strings.Count(block[1], "\n"), "ten lines")
	w := newWorld(t)
	script := strings.NewReplacer(
		"export B2_APPLICATION_KEY_ID=… B2_APPLICATION_KEY=…", "set -x",
		"b2://backups/", "b2://demo-bucket/",
		"%F", "%Y", // the test may run at midnight
		"pg_dump -Fc db", "cat db",
		"pg_restore -d db db.dump", "cmp db db.dump",
	).Replace(block[1])
	require.Equal(t, 4, strings.Count(script, "demo-bucket")+strings.Count(script, "cat db")+strings.Count(script, "cmp db"))
	w.run("head -c 3000000 /dev/urandom >db")
	// Earlier years, of which pruning keeps six.
	for year := range strings.FieldsSeq("2001 2002 2003 2004 2005 2006 2007 2008 2009") {
		w.run("echo " + year + " | sluice put --quiet b2://demo-bucket/db-" + year + ".dump")
	}
	w.run(script)
	names := strings.Fields(w.run("sluice ls b2://demo-bucket/"))
	require.NotContains(t, names, "b2://demo-bucket/db-2003.dump")
	require.Contains(t, names, "b2://demo-bucket/db-2004.dump")
	code, _, _ := w.try("sluice get b2://demo-bucket/db-$(date +%Y).dump | cmp - db")
	require.NotZero(t, code, "it is encrypted")
}
