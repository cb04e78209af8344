// Package s3backend stores files in Amazon S3 and in stores that speak its API: MinIO, Ceph, R2, SeaweedFS,
// versitygw, B2's own S3 endpoint, a cluster in the next room.
//
//	backend, err := s3backend.New(ctx, "backups", nil) // the usual AWS environment and files
//	if err != nil {
//		return err
//	}
//	file, err := sluice.Upload(ctx, backend, "db.dump", nil, dump)
//
// A stream that fits one part is stored by PutObject, a longer one by a multipart upload. Every part carries its
// SHA-256 in a header, which is the payload's digest in the signature as well: the bytes are hashed once, and are
// sent as they lie in memory, with their length, and without the aws-chunked encoding that some stores refuse.
//
// Credentials need s3:PutObject and s3:AbortMultipartUpload. What a lost answer leaves open is settled with
// s3:GetObject and s3:ListMultipartUploadParts; without them some outcomes stay [sluice.ErrFinishUnknown]. Resuming
// and listing need s3:ListMultipartUploadParts and s3:ListBucketMultipartUploads, reading back (Open) s3:GetObject.
//
// A bucket should have a lifecycle rule that removes incomplete multipart uploads after some days. It is for
// machines that lose their power, and for the one case that nobody can clean up otherwise: an upload whose start
// was answered into the void.
//
// docs/S3.md shows how one machine becomes many, with the arithmetic of parts, memory and concurrency.
package s3backend
