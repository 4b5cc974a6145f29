CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, item TEXT, price INTEGER, day INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
INSERT INTO orders SELECT i, (i * 7919) % 503, 'item ' || ((i * 31) % 97), (i * 2654435761) % 10007, i % 365 FROM n;
CREATE INDEX by_customer ON orders (customer, day);
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 502)
INSERT INTO customers SELECT i, 'customer ' || i FROM n;
SELECT count(*), sum(price), min(item), max(item) FROM orders;
SELECT item, count(*), sum(price) AS total FROM orders GROUP BY item ORDER BY total DESC LIMIT 5;
SELECT name, count(*), avg(price) FROM customers JOIN orders ON customer = customers.id
 WHERE day BETWEEN 50 AND 90 GROUP BY name ORDER BY 3 DESC LIMIT 5;
SELECT count(*) FROM orders WHERE item LIKE '%7_' AND price % 3 = 1;
UPDATE orders SET price = price + 1 WHERE customer % 5 = 2;
DELETE FROM orders WHERE day = 100;
SELECT sum(price * day) FROM orders;
SELECT a.customer, count(*) FROM orders a JOIN orders b ON a.customer = b.customer AND a.day < b.day
 WHERE a.customer < 40 GROUP BY a.customer ORDER BY 2 DESC LIMIT 3;
