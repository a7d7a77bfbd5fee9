"""What synthetic rooms and streets share: shapes, materials, ray casting."""
