-- The same on one machine.
CREATE TABLE numbers AS SELECT * FROM (VALUES (1, 'one;'), (2, 'two'), (3, 'three')) AS n(id, name);

-- name: large csv
SELECT id, name FROM numbers WHERE id >= $least ORDER BY id;

SELECT sum(id) AS total FROM numbers
