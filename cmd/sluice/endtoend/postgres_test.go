//go:build unix

package endtoend

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// postgres is a world with a database server.
type postgres struct {
	*world
	home string // the owner's folder, with the socket
	as   string // the command before what must not run as root
}

// newPostgres starts a server with a database "bench" of pgbench's.
func newPostgres(t *testing.T) *postgres {
	path := os.Getenv("PATH")
	// where Debian keeps it
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		path = filepath.Dir(found[len(found)-1]) + ":" + path
	}
	t.Setenv("PATH", path)
	for _, program := range []string{"initdb", "pg_ctl", "pgbench", "pg_dump", "pg_restore", "pg_basebackup", "pg_verifybackup", "psql"} {
		need(t, program, "postgresql")
	}
	need(t, "zstd", "zstd")
	// Not t.TempDir: it is closed to others, and too long a path for a socket.
	home, err := os.MkdirTemp("/tmp", "sluice-pg-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	p := &postgres{world: newWorld(t), home: home}
	if os.Geteuid() == 0 {
		p.as = "runuser -u postgres -- " // made by Debian's package
		out, err := exec.Command("chown", "postgres", home).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	require.NoError(t, os.Chmod(home, 0o755))
	for name, value := range map[string]string{"PGHOST": home, "PGUSER": "postgres", "PGDATA": home + "/data", "HOME": home} {
		p.set(name, value)
	}
	p.run("cd $HOME; " + p.as + "initdb --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C")
	p.start("data")
	p.run("createdb bench; pgbench --quiet -i -s 2 bench; pgbench -t 200 bench")
	return p
}

// another starts a second server, with no database of ours. Its commands reach the same store.
func (p *postgres) another() *postgres {
	w := *p.world
	w.env = slices.Clone(p.env)
	second := &postgres{world: &w, home: filepath.Join(p.home, "second"), as: p.as}
	p.run(p.as + "mkdir " + second.home)
	second.set("PGHOST", second.home)
	second.set("HOME", second.home)
	second.run("cd $HOME; " + second.as + "initdb --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C -D $HOME/data")
	second.start("data")
	return second
}

// start starts a server on a folder in home.
func (p *postgres) start(folder string) {
	p.t.Helper()
	p.run(fmt.Sprintf(`cd $HOME; %spg_ctl start --wait -D $HOME/%s -l $HOME/%[2]s.log \
		-o "-c listen_addresses='' -c unix_socket_directories='$HOME' -c fsync=off -c autovacuum=off"`, p.as, folder))
	p.t.Cleanup(func() { p.stop(folder) })
}

// stop stops it, if it runs.
func (p *postgres) stop(folder string) {
	_, _, _ = p.try(fmt.Sprintf("cd $HOME; %spg_ctl stop --wait -m fast -D $HOME/%s", p.as, folder))
}

// sums are the number of rows and a checksum of each table of a database.
func (p *postgres) sums(database string) string {
	p.t.Helper()
	var sums strings.Builder
	for _, table := range []string{"accounts", "branches", "tellers", "history"} {
		rows := p.run(fmt.Sprintf(`psql -AtX -d %s -c "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM pgbench_%s t"`, database, table))
		require.Regexp(p.t, `^[1-9]\d*\|[0-9a-f]{32}\n$`, rows)
		sums.WriteString(table + " " + rows)
	}
	return sums.String()
}

func TestADatabaseComesBackFromPipe(t *testing.T) {
	p := newPostgres(t)
	want := p.sums("bench")

	// In pg_dump's own format.
	p.run("sluice -part-size 1MiB b2://demo-bucket/db.dump -- pg_dump -Fc -Z0 bench")
	p.run("createdb custom; sluice get b2://demo-bucket/db.dump | pg_restore --exit-on-error -d custom")
	require.Equal(t, want, p.sums("custom"))

	// As text, compressed by sluice, and by a program before it.
	for i, up := range []string{
		"sluice -z b2://demo-bucket/db.sql.zst -- pg_dump bench",
		"sluice b2://demo-bucket/db.sql.zst -- bash -c 'set -o pipefail; pg_dump bench | zstd'",
	} {
		p.run(up)
		database := "text" + strconv.Itoa(i)
		p.run("createdb " + database + "; sluice get b2://demo-bucket/db.sql.zst | zstd -dc | psql -qX -v ON_ERROR_STOP=1 -o /dev/null -d " + database)
		require.Equal(t, want, p.sums(database))
	}

	// A pg_dump that is killed half-way.
	p.set("PIDFILE", filepath.Join(p.dir, "pid"))
	c := p.command(`exec sluice -v -part-size 1MiB -memory 3MiB -rate 2MiB b2://demo-bucket/half.dump -- sh -c 'echo $$ > $PIDFILE; exec pg_dump -Fc -Z0 bench'`)
	stderr, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	log := killOnce(stderr, "part 1 is stored", func() { p.run("kill -9 $(cat $PIDFILE)") })
	require.Error(t, c.Wait())
	require.Equal(t, 3, c.ProcessState.ExitCode(), log)
	require.Contains(t, log, "signal: killed")
	p.requireNothingLeft("half.dump")
}

func TestABaseBackupComesBackAndStarts(t *testing.T) {
	p := newPostgres(t)
	want := p.sums("bench")
	p.run("sluice b2://demo-bucket/base.tar -- pg_basebackup -Ft -X fetch -c fast -D -")
	p.stop("data")
	p.run("mkdir $HOME/restored; sluice get b2://demo-bucket/base.tar | tar -xC $HOME/restored; chmod 700 $HOME/restored; chown -R --reference=$HOME $HOME/restored")
	p.run("cd $HOME; " + p.as + "pg_verifybackup $HOME/restored")
	p.start("restored")
	require.Equal(t, want, p.sums("bench"))
}
