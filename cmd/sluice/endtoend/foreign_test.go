//go:build unix

package endtoend

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Clients that others wrote store beside sluice, and read what it stored: so that
// b2server is not merely what our own client expects.

// needModule is [need] for what a language loads: check is the command that
// fails without it.
func needModule(t *testing.T, module, install string, check ...string) {
	t.Helper()
	if err := exec.Command(check[0], check[1:]...).Run(); err == nil {
		return
	}
	text := "NOT TESTED: " + module + " is not installed; " + install
	if os.Getenv("SLUICE_TEST_TOOLS") == "required" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// redirectPython makes the Python clients of Debian log in at the test's server:
// they know the service's address alone.
func (w *world) redirectPython() {
	site := filepath.Join(w.t.TempDir(), "site")
	require.NoError(w.t, os.Mkdir(site, 0o755))
	require.NoError(w.t, os.WriteFile(filepath.Join(site, "sitecustomize.py"), []byte(`
import os

try:
    import b2sdk.raw_api
    b2sdk.raw_api.REALM_URLS['production'] = os.environ['B2_ENDPOINT']
except ImportError:
    pass
try:
    from b2.account_info.abstract import AbstractAccountInfo
    AbstractAccountInfo.REALM_URLS['production'] = os.environ['B2_ENDPOINT']
except ImportError:
    pass
`), 0o600))
	w.set("PYTHONPATH", site)
}

// files makes a folder "in": an empty file, a small one, a large one.
func (w *world) files() {
	w.run("mkdir in; : > in/empty; echo one > 'in/small ü+%'; head -c 12345678 /dev/urandom > in/large")
}

func TestForeign_DuplicityBacksUpAndRestores(t *testing.T) {
	need(t, "duplicity", "duplicity")
	needModule(t, "b2sdk", "apt-get install python3-b2sdk", "/usr/bin/python3", "-c", "import b2sdk")
	w := newWorld(t)
	w.redirectPython()
	w.files()
	w.set("FTP_PASSWORD", w.key()) // which is where duplicity takes it from
	w.set("HOME", w.dir)
	w.set("URL", "b2://"+w.variable("B2_APPLICATION_KEY_ID")+"@demo-bucket/dir")
	duplicity := func(args string) string {
		t.Helper()
		return w.run("duplicity " + args + " --no-encryption --archive-dir \"$PWD/cache\" --volsize 1 --no-print-statistics")
	}
	duplicity("full in $URL")
	first := strings.TrimSpace(w.run("date +%s"))
	w.run("cp -r in first; sleep 1.1; echo two > 'in/small ü+%'; echo new > in/new; rm in/empty")
	duplicity("incr in $URL")
	require.Contains(t, duplicity("verify --compare-data $URL in"), "0 differences found")
	require.Contains(t, duplicity("list-current-files $URL"), "new")
	duplicity("restore $URL out")
	w.run("diff -r in out")
	w.run("rm -r cache") // what it keeps locally comes back from the store
	duplicity("restore --time " + first + " $URL again")
	w.run("diff -r first again")
	require.Contains(t, duplicity("collection-status $URL"), "Incremental")

	// An upload that was cut off is cleaned up, an old chain removed.
	w.run("echo x | sluice b2://demo-bucket/dir/duplicity-full.20200101T000000Z.vol1.difftar.gz")
	duplicity("cleanup --force $URL")
	w.requireNothingLeft("dir/duplicity-full.20200101T000000Z.vol1.difftar.gz")
	w.run("sleep 1.1")
	duplicity("full in $URL")
	require.Contains(t, duplicity("remove-all-but-n-full 1 --force $URL"), "Deleting complete backup chain")
	require.NotContains(t, duplicity("collection-status $URL"), "Incremental")
	duplicity("restore $URL last")
	w.run("diff -r in last")
}

func TestForeign_B2CommandLine(t *testing.T) {
	need(t, "backblaze-b2", "backblaze-b2")
	w := newWorld(t)
	w.redirectPython()
	w.files()
	w.set("B2_ACCOUNT_INFO", filepath.Join(w.dir, "account"))
	w.run("backblaze-b2 authorize-account $B2_APPLICATION_KEY_ID $B2_APPLICATION_KEY")
	w.run("backblaze-b2 upload-file --noProgress --minPartSize 5000000 --info k=v demo-bucket in/large dir/large")
	w.run("backblaze-b2 upload-file --noProgress demo-bucket 'in/small ü+%' 'dir/small ü+%'")
	w.run("sluice get b2://demo-bucket/dir/large | cmp - in/large")
	w.run("sluice b2://demo-bucket/ours < in/large; backblaze-b2 download-file-by-name --noProgress demo-bucket ours back; cmp back in/large")
	require.Contains(t, w.run("backblaze-b2 ls demo-bucket dir"), "dir/small ü+%")

	w.run("rm in/empty; echo two > in/two") // it fails to download empty files from any server
	w.run("backblaze-b2 sync --noProgress in b2://demo-bucket/sync; backblaze-b2 sync --noProgress b2://demo-bucket/sync out; diff -r in out")
	w.run("rm in/two; backblaze-b2 sync --noProgress --delete in b2://demo-bucket/sync")
	require.NotContains(t, w.run("backblaze-b2 ls demo-bucket sync"), "two")

	w.run("backblaze-b2 create-bucket other-bucket allPrivate; backblaze-b2 update-bucket --bucketInfo '{\"a\": \"b\"}' other-bucket allPublic")
	require.Contains(t, w.run("backblaze-b2 list-buckets"), "allPublic   other-bucket")
	w.run("backblaze-b2 delete-bucket other-bucket")
	code, _, stderr := w.try("backblaze-b2 delete-bucket demo-bucket")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "cannot_delete_non_empty_bucket")

	made := strings.Fields(w.run("backblaze-b2 create-key --bucket demo-bucket --namePrefix dir/ --duration 3600 a-key listBuckets,listFiles,readFiles"))
	require.Len(t, made, 2)
	require.Contains(t, w.run("backblaze-b2 list-keys"), made[0])
	w.set("READER", made[0])
	w.set("SECRET", made[1])
	w.run("B2_APPLICATION_KEY_ID=$READER B2_APPLICATION_KEY=$SECRET sluice get b2://demo-bucket/dir/large | cmp - in/large")
	w.run("backblaze-b2 delete-key $READER")
	code, _, _ = w.try("B2_APPLICATION_KEY_ID=$READER B2_APPLICATION_KEY=$SECRET sluice get b2://demo-bucket/dir/large")
	require.Equal(t, 1, code)

	w.run("backblaze-b2 hide-file demo-bucket dir/large")
	w.requireNothingLeft("dir/large")
	w.run("curl -sSf \"$(backblaze-b2 get-download-url-with-auth --duration 60 demo-bucket 'dir/small ü+%')\" | cmp - 'in/small ü+%'")
}

// TestForeign_B2SDKLocksFiles sets retention and legal holds, by the library that
// duplicity uses.
func TestForeign_B2SDKLocksFiles(t *testing.T) {
	needModule(t, "b2sdk", "apt-get install python3-b2sdk", "/usr/bin/python3", "-c", "import b2sdk")
	w := newWorld(t)
	w.redirectPython()
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "lock.py"), []byte(`
import os, time
from b2sdk.v2 import *
from b2sdk.v2.exception import B2Error

api = B2Api(InMemoryAccountInfo())
api.authorize_account('production', os.environ['B2_APPLICATION_KEY_ID'], os.environ['B2_APPLICATION_KEY'])
bucket = api.create_bucket('locked-bucket', 'allPrivate', is_file_lock_enabled=True)
bucket.update(
    default_retention=BucketRetentionSetting(RetentionMode.GOVERNANCE, RetentionPeriod(days=1)),
    default_server_side_encryption=EncryptionSetting(EncryptionMode.SSE_B2, EncryptionAlgorithm.AES256))
bucket = api.get_bucket_by_name('locked-bucket')
assert bucket.default_retention.mode == RetentionMode.GOVERNANCE, bucket.default_retention
assert bucket.default_server_side_encryption.mode == EncryptionMode.SSE_B2

file = bucket.upload_bytes(b'x', 'file')
assert file.file_retention.mode == RetentionMode.GOVERNANCE, file.file_retention
assert file.server_side_encryption.mode == EncryptionMode.SSE_B2
later = int(time.time() * 1000) + 2 * 86400 * 1000
api.update_file_retention(file.id_, 'file', FileRetentionSetting(RetentionMode.GOVERNANCE, later))
api.update_file_legal_hold(file.id_, 'file', LegalHold.ON)
info = bucket.get_file_info_by_name('file')
info = api.get_file_info(file.id_)
assert info.file_retention.retain_until == later and info.legal_hold == LegalHold.ON, info.as_dict()
for bypass in True, False:
    try:
        api.delete_file_version(file.id_, 'file', **({'bypass_governance': True} if bypass else {}))
    except (B2Error, TypeError) as e:
        print(type(e).__name__)
    else:
        raise SystemExit('a locked file was deleted')
api.update_file_legal_hold(file.id_, 'file', LegalHold.OFF)
api.update_file_retention(file.id_, 'file', NO_RETENTION_FILE_SETTING, bypass_governance=True)
api.delete_file_version(file.id_, 'file')
print('done')
`), 0o600))
	require.Contains(t, w.run("/usr/bin/python3 lock.py"), "done")
}

func TestForeign_Rclone(t *testing.T) {
	need(t, "rclone", "rclone")
	w := newWorld(t)
	w.files()
	w.set("RCLONE_CONFIG", filepath.Join(w.dir, "none"))
	w.set("RCLONE_CONFIG_STORE_TYPE", "b2")
	w.set("RCLONE_CONFIG_STORE_ACCOUNT", w.variable("B2_APPLICATION_KEY_ID"))
	w.set("RCLONE_CONFIG_STORE_KEY", w.key())
	w.set("RCLONE_CONFIG_STORE_ENDPOINT", w.variable("B2_ENDPOINT"))
	w.set("RCLONE_B2_UPLOAD_CUTOFF", "5M")
	w.set("RCLONE_B2_CHUNK_SIZE", "5M")
	w.run("rclone copy in store:demo-bucket/dir; rclone check --download in store:demo-bucket/dir")
	w.run("sluice get b2://demo-bucket/dir/large | cmp - in/large")
	w.run("sluice b2://demo-bucket/ours < in/large; rclone cat store:demo-bucket/ours | cmp - in/large")
	w.run("rclone rcat store:demo-bucket/streamed < in/large; sluice get b2://demo-bucket/streamed | cmp - in/large")
	w.run("rclone deletefile store:demo-bucket/dir/large; rclone cleanup store:demo-bucket")
	w.requireNothingLeft("dir/large")
}

func TestForeign_NodeBackblazeB2(t *testing.T) {
	need(t, "node", "nodejs")
	needModule(t, "backblaze-b2", "npm install backblaze-b2, and set NODE_PATH", "node", "-e", "require('backblaze-b2')")
	w := newWorld(t)
	w.files()
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "b2.js"), []byte(`
const assert = require('assert');
const crypto = require('crypto');
const fs = require('fs');
require('backblaze-b2/conf').API_AUTHORIZE__URL = process.env.B2_ENDPOINT + '/b2api/v2/b2_authorize_account';
const B2 = require('backblaze-b2');

const sha1 = (data) => crypto.createHash('sha1').update(data).digest('hex');

(async () => {
  const b2 = new B2({applicationKeyId: process.env.B2_APPLICATION_KEY_ID, applicationKey: process.env.B2_APPLICATION_KEY});
  await b2.authorize();
  const bucketId = (await b2.getBucket({bucketName: 'demo-bucket'})).data.buckets[0].bucketId;

  let at = (await b2.getUploadUrl({bucketId})).data;
  const small = fs.readFileSync('in/small ü+%');
  const stored = (await b2.uploadFile({
    uploadUrl: at.uploadUrl, uploadAuthToken: at.authorizationToken, fileName: 'dir/small', data: small, info: {k: 'v'},
  })).data;
  assert.equal(stored.contentSha1, sha1(small));
  assert.equal((await b2.getFileInfo({fileId: stored.fileId})).data.fileInfo.k, 'v');

  const large = fs.readFileSync('in/large');
  const fileId = (await b2.startLargeFile({bucketId, fileName: 'dir/large'})).data.fileId;
  const partSha1Array = [];
  for (let part = 1, from = 0; from < large.length; part++, from += 5000000) {
    const data = large.subarray(from, from + 5000000);
    at = (await b2.getUploadPartUrl({fileId})).data;
    await b2.uploadPart({partNumber: part, uploadUrl: at.uploadUrl, uploadAuthToken: at.authorizationToken, data});
    partSha1Array.push(sha1(data));
  }
  assert.equal((await b2.listParts({fileId})).data.parts.length, partSha1Array.length);
  await b2.finishLargeFile({fileId, partSha1Array});
  const back = await b2.downloadFileById({fileId, responseType: 'arraybuffer'});
  assert.equal(sha1(Buffer.from(back.data)), sha1(large));
  const ours = await b2.downloadFileByName({bucketName: 'demo-bucket', fileName: 'ours', responseType: 'arraybuffer'});
  assert.equal(sha1(Buffer.from(ours.data)), sha1(large));

  const other = (await b2.startLargeFile({bucketId, fileName: 'dir/other'})).data.fileId;
  await b2.cancelLargeFile({fileId: other});
  const key = (await b2.createKey({capabilities: ['listFiles'], keyName: 'k', bucketId, namePrefix: 'dir/'})).data;
  assert((await b2.listKeys()).data.keys.some((k) => k.applicationKeyId === key.applicationKeyId));
  await b2.deleteKey({applicationKeyId: key.applicationKeyId});
  const made = (await b2.createBucket({bucketName: 'other-bucket', bucketType: 'allPrivate'})).data.bucketId;
  await b2.updateBucket({bucketId: made, bucketType: 'allPublic'});
  await b2.deleteBucket({bucketId: made});
  await b2.hideFile({bucketId, fileName: 'dir/small'});
  const names = async (call) => (await b2[call]({bucketId, prefix: 'dir/', maxFileCount: 100})).data.files.map((f) => f.fileName);
  assert.deepEqual(await names('listFileNames'), ['dir/large']);
  const all = await names('listFileVersions'); // it sends no prefix
  assert.deepEqual(all, ['dir/large', 'dir/small', 'dir/small', 'ours']);
  await b2.deleteFileVersion({fileId: stored.fileId, fileName: 'dir/small'});
  assert((await b2.getDownloadAuthorization({bucketId, fileNamePrefix: 'dir/', validDurationInSeconds: 60})).data.authorizationToken);
  console.log('done');
})().catch((e) => { console.error(e.message, e.response && e.response.data); process.exit(1); });
`), 0o600))
	require.Contains(t, w.run("sluice b2://demo-bucket/ours < in/large; node b2.js"), "done")
	w.run("sluice get b2://demo-bucket/dir/large | cmp - in/large")
	w.requireUnfinished(0)
}
