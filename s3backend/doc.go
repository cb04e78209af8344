// Package s3backend stores files in Amazon S3 and in stores that speak its API:
// MinIO, Ceph, R2, SeaweedFS, versitygw, B2's own S3 endpoint, a cluster in the
// next room.
//
//	backend, err := s3backend.New(ctx, "backups", nil) // the usual AWS environment and files
//	if err != nil {
//		return err
//	}
//	file, err := sluice.Upload(ctx, backend, "db.dump", nil, dump)
//
// A stream that fits one part is stored by PutObject, a longer one by a
// multipart upload. Every part carries a checksum in a header ([Checksum]), and is
// sent as it lies in memory, with its length, and without the aws-chunked encoding
// that some stores reject. Over https that is a CRC64NVME: Amazon S3 makes the
// CRC64NVME of a large file of those of its parts, compares it with the stream's
// before the file becomes visible, and tells it to readers. Over plain http it is a
// SHA-256, which is the payload's digest in the signature as well.
//
// Credentials need s3:PutObject and s3:AbortMultipartUpload. A lost answer to a
// finish or a single upload is settled with s3:GetObject; without it the outcome is
// [sluice.ErrFinishUnknown]. Resuming and listing need
// s3:ListMultipartUploadParts and s3:ListBucketMultipartUploads, reading back
// (Open) s3:GetObject.
//
// If the store says that this machine's clock is wrong, requests are signed with
// the store's time from then on. If it says that the credentials have expired or
// are not valid, they are asked for again, once for each call: those of the AWS
// environment and files are read anew, so that a job may renew them on disk.
//
// A bucket should have a lifecycle rule that removes incomplete multipart
// uploads after some days. It is for machines that lose their power, and for
// the one case that cannot be cleaned up otherwise: an upload whose start was
// answered into the void.
//
// docs/S3.md shows how one machine becomes many, with the arithmetic of parts,
// memory and concurrency.
package s3backend
