package endtoend

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const systemd = "../../../docs/systemd/"

// verifyUnits runs systemd-analyze over both units of a backup, and returns what it complains
// of.
func verifyUnits(t *testing.T, change func(name, text string) string) string {
	t.Helper()
	need(t, "systemd-analyze", "systemd")
	w := newWorld(t)
	for _, name := range []string{"sluice-backup@.service", "sluice-backup@.timer"} {
		text := strings.ReplaceAll(readText(t, systemd+name), "/usr/bin/sluice", filepath.Join(binaries, "sluice"))
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, name), []byte(change(name, text)), 0o600))
	}
	_, stdout, stderr := w.try("systemd-analyze verify --man=no ./sluice-backup@db.service ./sluice-backup@db.timer")
	return stdout + stderr
}

func TestSystemd_UnitsAreVerified(t *testing.T) {
	require.Empty(t, verifyUnits(t, func(_, text string) string { return text }))
}

// So that the test above can fail.
func TestSystemd_VerifyFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ unit, old, new string }{
		{"sluice-backup@.service", "ProtectSystem=full", "ProtectSystem=somewhat"},
		{"sluice-backup@.service", "LockPersonality", "LockPersonalities"},
		{"sluice-backup@.service", "ExecStart=/", "ExecStart=/no/such"},
		{"sluice-backup@.timer", "OnCalendar=daily", "OnCalendar=sometimes"},
	} {
		require.NotEmpty(t, verifyUnits(t, func(name, text string) string {
			if name == c.unit {
				require.Contains(t, text, c.old)
				text = strings.Replace(text, c.old, c.new, 1)
			}
			return text
		}), c.new)
	}
}

// The table of docs/systemd names settings for drop-ins.
func TestSystemd_SettingsOfThePageAreVerified(t *testing.T) {
	page := readText(t, systemd+"README.md")
	rows := regexp.MustCompile("(?m)^\\| .+ \\| .*`\\[(Service|Unit|Timer)\\]`, (.+) \\|$").FindAllStringSubmatch(page, -1)
	require.Len(t, rows, 4)
	complaints := verifyUnits(t, func(name, text string) string {
		for _, row := range rows {
			if (row[1] == "Timer") != strings.HasSuffix(name, ".timer") {
				continue
			}
			text += "\n[" + row[1] + "]\n"
			for _, setting := range regexp.MustCompile("`([A-Z]\\w+=[^`]*)`").FindAllStringSubmatch(row[2], -1) {
				text += setting[1] + "\n"
			}
		}
		return text
	})
	// The service to be started after a failure is the reader's.
	require.NotContains(t, strings.ReplaceAll(complaints, "notify@", ""), "sluice-backup", complaints)
}

// The files are those of docs/systemd, and the command line is the unit's, which a shell reads
// as the service manager does.
func TestSystemd_ServiceStoresWhatItsPageSays(t *testing.T) {
	w := newWorld(t)
	page := readText(t, systemd+"README.md")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(page, -1)
	require.Len(t, blocks, 3)
	setup := strings.NewReplacer(
		"/etc/sluice", "etc",
		"KEY_ID=…", "KEY_ID="+w.variable("B2_APPLICATION_KEY_ID"),
		"KEY=…", "KEY="+w.key(),
		"b2://backups/", "b2://demo-bucket/",
		"/var/lib/prometheus/node-exporter/", "./",
		"pg_dump -Fc db", `sh -c "echo the dump, \${B2_APPLICATION_KEY:-without the key}"`,
	).Replace(blocks[0][1] + blocks[1][1])
	w.run(setup)
	info, err := os.Stat(filepath.Join(w.dir, "etc/db.env"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	start := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/(.*)$`).FindStringSubmatch(readText(t, systemd+"sluice-backup@.service"))
	require.NotNil(t, start)
	line := strings.NewReplacer("%i", "db", "/etc/sluice", "$PWD/etc", "${DEST}", `"${DEST}"`).Replace(start[1])
	run := "FLAGS=; unset B2_APPLICATION_KEY B2_APPLICATION_KEY_ID; set -a; . etc/db.env; set +a; " + line
	w.run(run)
	names := strings.Fields(w.run("sluice ls b2://demo-bucket/db-"))
	require.Len(t, names, 1)
	require.Regexp(t, `/db-\d{4}-\d\d-\d\d\.dump$`, names[0])
	require.Equal(t, "the dump, without the key\n", w.run("sluice get "+names[0]))
	require.Contains(t, readText(t, filepath.Join(w.dir, "db.prom")), "sluice_")

	w.run("echo exit 7 >>etc/db.command; sed -i s/exec// etc/db.command")
	code, _, stderr := w.try(run)
	require.Equal(t, 3, code, stderr)
}
